{{ config(unique_key=['event_source', 'event_id']) }}

-- One row per trade as it was made, and what became of it: the last change of its status counts, by
-- the time of the change and then by its record. Longer history: changes come days later (settled);
-- they touch the day on which the trade was made.
with changes as (
    select
        trade_id,
        event_time,
        trade_status,
        row_number() over (
            partition by trade_id
            order by event_time desc, _source desc, _kafka_partition desc, _offset desc
        ) as number_from_last
    from {{ ref('stg_trades') }}
    where event_type = 'trades.status'
)

select
    trade._source,
    trade._kafka_partition,
    trade._offset,
    trade.event_source,
    trade.event_id,
    trade.event_time,
    trade.event_day,
    cast(to_char(trade.event_day, '%Y%m%d') as int) as date_key,
    trade.trade_id,
    trade.account_id,
    trade.symbol,
    trade.venue,
    trade.side,
    trade.quantity,
    trade.signed_quantity,
    trade.price,
    trade.amount,
    trade.fee_amount,
    trade.currency,
    trade.account_status,
    trade.trade_status as first_status,
    coalesce(change.trade_status, trade.trade_status) as last_status,
    change.event_time as last_status_at,
    coalesce(change.trade_status, trade.trade_status) in ('executed', 'settled') as is_executed,
    trade.status_reason,
    trade.is_late
from {{ ref('stg_trades') }} as trade
left join changes as change
    on change.trade_id = trade.trade_id
    and change.number_from_last = 1
where trade.event_type = 'trades.trade'
