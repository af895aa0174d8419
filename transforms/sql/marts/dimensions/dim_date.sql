{{ config(unique_key=['date_key']) }}

-- Every day of the years in which something was sold, traded or said, without gaps: from the first
-- of January of the first year to the last of December of the last. No clock is read: is_in_data
-- says which days lie between the first event and the last. It reads raw rows: what was sent twice
-- changes neither.
with bounds as (
    select
        date_trunc('day', min(first_at)) as first_day,
        date_trunc('day', max(last_at)) as last_day
    from (
        select min(event_time) as first_at, max(event_time) as last_at
        from {{ source('raw', 'vending_sales') }}
        union all
        select min(event_time) as first_at, max(event_time) as last_at
        from {{ source('raw', 'vending_health') }}
        union all
        select min(event_time) as first_at, max(event_time) as last_at
        from {{ source('raw', 'store_sales') }}
        union all
        select min(event_time) as first_at, max(event_time) as last_at
        from {{ source('raw', 'trades') }}
    ) as streams
),

days as (
    select
        unnest(generate_series(
            date_trunc('year', first_day),
            date_trunc('year', last_day) + interval '1 year' - interval '1 day',
            interval '1 day'
        )) as day_at,
        first_day,
        last_day
    from bounds
)

select
    cast(to_char(day_at, '%Y%m%d') as int) as date_key,
    cast(day_at as date) as date_day,
    cast(date_part('year', day_at) as int) as year_number,
    cast(date_part('quarter', day_at) as int) as quarter_number,
    cast(date_part('month', day_at) as int) as month_number,
    to_char(day_at, '%B') as month_name,
    to_char(day_at, '%Y-%m') as year_month,
    cast(to_char(day_at, '%G') as int) as iso_year,
    cast(to_char(day_at, '%V') as int) as iso_week,
    cast(date_part('day', day_at) as int) as day_of_month,
    cast(to_char(day_at, '%u') as int) as day_of_week,
    to_char(day_at, '%A') as day_name,
    to_char(day_at, '%u') in ('6', '7') as is_weekend,
    day_at between first_day and last_day as is_in_data
from days
