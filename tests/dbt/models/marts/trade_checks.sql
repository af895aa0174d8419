with trades as (
    select
        * replace (upper(currency) as currency),
        trade_status = 'rejected' as is_rejected,
        (coalesce(sum(amount) filter (trade_status <> 'rejected') over (
            partition by account_id, upper(currency), event_day
            order by event_time, _source, _kafka_partition, _offset
            rows unbounded preceding
        ), 0))::decimal(18, 4) as day_amount
    from {{ ref('stg_trades') }}
    where event_type = 'trades.trade'
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
    trade.currency,
    trade.amount,
    trade.day_amount,
    trade.account_status,
    account.account_status as account_status_by_reference,
    trade.is_rejected,
    trade.status_reason,
    account.account_id is null as is_account_unknown,
    ifnull(account.account_status <> 'active', false) as is_account_not_active,
    ifnull(account.account_status <> trade.account_status, false) as is_status_different,
    account.account_id is not null and trade.currency <> account.currency
        and not list_contains(
            ifnull(from_json(account.currencies_allowed, '["VARCHAR"]'), []), trade.currency
        ) as is_currency_denied,
    list_contains(ifnull(from_json(account.symbols_denied, '["VARCHAR"]'), []), trade.symbol)
        as is_symbol_denied,
    ifnull(
        trade.currency = account.currency and trade.amount > account.trade_limit_amount, false
    ) as is_over_trade_limit,
    ifnull(
        trade.currency = account.currency and trade.day_amount > account.daily_limit_amount
        and not trade.is_rejected,
        false
    ) as is_over_daily_limit,
    not trade.is_rejected and (
        is_account_unknown or is_account_not_active or is_currency_denied or is_symbol_denied
        or is_over_trade_limit or is_over_daily_limit
    ) as is_breach,
    trade.is_late
from trades as trade
left join {{ history('accounts', ['account_id']) }} as account
    on account.account_id = trade.account_id and {{ held('account', 'trade.event_time') }}
