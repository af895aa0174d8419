{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='window_end', batch_size='hour', lookback=1,
    unique_key=['window_end', 'region', 'currency']
) }}

-- A sliding window: every five minutes in which a region sold something, what it sold in the hour
-- until then. A late vend corrects the twelve windows in which it lies. Longer history: the hour
-- before the day's first window.
with steps as (
    select
        date_bin(interval '5 minutes', event_time, timestamp '2020-01-01T00:00:00Z') as step_start,
        region,
        currency,
        count(*) as vends,
        cast(sum(price) as decimal(18, 4)) as revenue,
        sum(case when is_late then 1 else 0 end) as vends_late
    from {{ ref('fct_vends') }}
    where is_sold
    group by
        date_bin(interval '5 minutes', event_time, timestamp '2020-01-01T00:00:00Z'), region,
        currency
),

slid as (
    select
        step_start,
        region,
        currency,
        sum(vends) over last_hour as vends_sold,
        sum(revenue) over last_hour as revenue,
        sum(vends_late) over last_hour as vends_late
    from steps
    window last_hour as (
        partition by region, currency order by step_start
        range between interval '55 minutes' preceding and current row
    )
)

select
    step_start + interval '5 minutes' - interval '1 hour' as window_start,
    step_start + interval '5 minutes' as window_end,
    region,
    currency,
    vends_sold,
    cast(revenue as decimal(18, 4)) as revenue,
    vends_late,
    100.0 * (vends_sold - vends_late) / vends_sold as in_time_pct
from slid
