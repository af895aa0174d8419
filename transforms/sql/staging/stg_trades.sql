{{ config(dedup=['event_source', 'event_id']) }}

-- Trades of accounts and what became of them, one row per event.
-- Codes of currencies in capitals, whatever was sent.
select
    _source,
    _kafka_partition,
    _offset,
    _kafka_time,
    event_source,
    event_id,
    event_type,
    event_time,
    date_trunc('day', event_time) as event_day,
    _kafka_time - event_time > interval '{{ var("lateness_minutes", 5) }} minutes' as is_late,
    account_id,
    trade_id,
    order_id,
    symbol,
    venue,
    side,
    quantity,
    price,
    amount,
    fee_amount,
    upper(currency) as currency,
    trade_status,
    account_status,
    status_reason,
    executed_at,
    settles_on,
    site_id,
    trace_id,
    case side when 'buy' then quantity when 'sell' then -quantity end as signed_quantity
from {{ source('raw', 'trades') }}
