{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='minute_start', batch_size='hour',
    unique_key=['minute_start', 'symbol', 'currency']
) }}

-- A tumbling window: every minute of event time, per symbol and currency, what was traded in it. A
-- late trade corrects its minute. Trades that were refused when they were made do not count; what
-- is taken back later does, as it does on a tape. The first and the last of a minute are so by
-- time, and among trades of one time by their records.
select
    date_bin(interval '1 minute', event_time, timestamp '2020-01-01T00:00:00Z') as minute_start,
    symbol,
    currency,
    first_value(price order by event_time, _source, _kafka_partition, _offset) as price_open,
    max(price) as price_high,
    min(price) as price_low,
    last_value(price order by event_time, _source, _kafka_partition, _offset) as price_close,
    cast(avg(price) as decimal(18, 4)) as price_avg,
    cast(sum(quantity) as decimal(18, 4)) as volume,
    cast(sum(amount) as decimal(18, 4)) as amount_sum,
    cast(avg(amount) as decimal(18, 4)) as amount_avg,
    count(*) as trades,
    sum(case when is_late then 1 else 0 end) as trades_late,
    100.0 * sum(case when is_late then 0 else 1 end) / count(*) as in_time_pct
from {{ ref('stg_trades') }}
where event_type = 'trades.trade' and trade_status <> 'rejected'
group by
    date_bin(interval '1 minute', event_time, timestamp '2020-01-01T00:00:00Z'), symbol, currency
