with trades as (
    select
        *,
        to_timestamp(epoch_us(event_time) // 60000000 * 60) as minute_start,
        (event_time, _source, _kafka_partition, _offset) as moment
    from {{ ref('fct_trades') }}
    where first_status <> 'rejected'
)

select
    minute_start,
    symbol,
    currency,
    arg_min(price, moment) as price_open,
    max(price) as price_high,
    min(price) as price_low,
    arg_max(price, moment) as price_close,
    ratio4(sum(tenthousandths(price)), count(*) * 10000) as price_avg,
    sum(quantity)::decimal(18, 4) as volume,
    sum(amount)::decimal(18, 4) as amount_sum,
    ratio4(sum(tenthousandths(amount)), count(*) * 10000) as amount_avg,
    count(*) as trades,
    count(*) filter (is_late) as trades_late,
    pct(count(*) filter (not is_late), count(*)) as in_time_pct
from trades
group by all
