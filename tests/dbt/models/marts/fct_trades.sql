with changes as (
    select
        trade_id,
        max_by(
            {'status': trade_status, 'since': event_time},
            (event_time, _source, _kafka_partition, _offset)
        ) as last
    from {{ ref('stg_trades') }}
    where event_type = 'trades.status'
    group by trade_id
)

select
    trade._source,
    trade._kafka_partition,
    trade._offset,
    trade.event_source,
    trade.event_id,
    trade.event_time,
    trade.event_day,
    day_key(trade.event_time) as date_key,
    trade.trade_id,
    trade.account_id,
    trade.symbol,
    trade.venue,
    trade.side,
    trade.quantity,
    if(trade.side = 'sell', -trade.quantity, trade.quantity) as signed_quantity,
    trade.price,
    trade.amount,
    trade.fee_amount,
    upper(trade.currency) as currency,
    trade.account_status,
    trade.trade_status as first_status,
    ifnull(change.last.status, trade.trade_status) as last_status,
    change.last.since as last_status_at,
    last_status in ('executed', 'settled') as is_executed,
    trade.status_reason,
    trade.is_late
from {{ ref('stg_trades') }} as trade
left join changes as change using (trade_id)
where trade.event_type = 'trades.trade'
