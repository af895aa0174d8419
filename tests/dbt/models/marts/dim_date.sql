-- The years of sales, health, store sales and trades, whole.
with spans as (
    select min(event_time)::date as first_day, max(event_time)::date as last_day
    from (
        select event_time from {{ source('raw', 'vending_sales') }} where _error is null
        union all by name
        select event_time from {{ source('raw', 'vending_health') }} where _error is null
        union all by name
        select event_time from {{ source('raw', 'store_sales') }} where _error is null
        union all by name
        select event_time from {{ source('raw', 'trades') }} where _error is null
    )
),

days as (
    select first_day, last_day, make_date(year(first_day), 1, 1) + number::int as date_day
    from spans, range(0, 366 * 100) as numbers (number)
    where make_date(year(first_day), 1, 1) + number::int <= make_date(year(last_day), 12, 31)
)

select
    day_key(date_day) as date_key,
    date_day,
    year(date_day)::int as year_number,
    quarter(date_day)::int as quarter_number,
    month(date_day)::int as month_number,
    monthname(date_day) as month_name,
    printf('%04d-%02d', year(date_day), month(date_day)) as year_month,
    isoyear(date_day)::int as iso_year,
    weekofyear(date_day)::int as iso_week,
    day(date_day)::int as day_of_month,
    isodow(date_day)::int as day_of_week,
    dayname(date_day) as day_name,
    isodow(date_day) > 5 as is_weekend,
    date_day between first_day and last_day as is_in_data
from days
