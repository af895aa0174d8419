{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='event_time', batch_size='day',
    unique_key=['event_source', 'event_id']
) }}

-- Every trade against the terms of its account as they were when it was made. What breaks them and
-- was let pass is a breach. Limits bind trades in the currency of the account; amounts of a day are
-- summed in the order of the trades, what was refused left out. Lists of the reference are JSON
-- text: what is in one stands there between quotes.
with sized as (
    select
        _source,
        _kafka_partition,
        _offset,
        event_source,
        event_id,
        event_time,
        event_day,
        trade_id,
        account_id,
        symbol,
        currency,
        amount,
        account_status,
        trade_status = 'rejected' as is_rejected,
        status_reason,
        is_late,
        cast(sum(
            case when trade_status = 'rejected' then cast(0 as decimal(18, 4)) else amount end
        ) over (
            partition by account_id, currency, event_day
            order by event_time, _source, _kafka_partition, _offset
            rows between unbounded preceding and current row
        ) as decimal(18, 4)) as day_amount
    from {{ ref('stg_trades') }}
    where event_type = 'trades.trade'
),

checked as (
    select
        trade._source,
        trade._kafka_partition,
        trade._offset,
        trade.event_source,
        trade.event_id,
        trade.event_time,
        trade.event_day,
        trade.trade_id,
        trade.account_id,
        trade.symbol,
        trade.currency,
        trade.amount,
        trade.day_amount,
        trade.is_rejected,
        trade.status_reason,
        trade.is_late,
        trade.account_status,
        account.account_status as account_status_by_reference,
        account.account_id is null as is_account_unknown,
        coalesce(account.account_status <> 'active', false) as is_account_not_active,
        coalesce(account.account_status <> trade.account_status, false) as is_status_different,
        coalesce(
            trade.currency <> account.currency
            and coalesce(
                strpos(account.currencies_allowed, concat('"', trade.currency, '"')), 0
            ) = 0,
            false
        ) as is_currency_denied,
        coalesce(strpos(account.symbols_denied, concat('"', trade.symbol, '"')), 0) > 0
            as is_symbol_denied,
        coalesce(
            trade.currency = account.currency and trade.amount > account.trade_limit_amount, false
        ) as is_over_trade_limit,
        coalesce(
            trade.currency = account.currency and trade.day_amount > account.daily_limit_amount
            and not trade.is_rejected,
            false
        ) as is_over_daily_limit
    from sized as trade
    left join {{ source('ref', 'accounts_history') }} as account
        on account.account_id = trade.account_id
        and account.valid_from <= trade.event_time
        and (account.valid_to is null or account.valid_to > trade.event_time)
)

select
    _source,
    _kafka_partition,
    _offset,
    event_source,
    event_id,
    event_time,
    event_day,
    cast(to_char(event_day, '%Y%m%d') as int) as date_key,
    trade_id,
    account_id,
    symbol,
    currency,
    amount,
    day_amount,
    account_status,
    account_status_by_reference,
    is_rejected,
    status_reason,
    is_account_unknown,
    is_account_not_active,
    is_status_different,
    is_currency_denied,
    is_symbol_denied,
    is_over_trade_limit,
    is_over_daily_limit,
    not is_rejected and (
        is_account_unknown or is_account_not_active or is_currency_denied or is_symbol_denied
        or is_over_trade_limit or is_over_daily_limit
    ) as is_breach,
    is_late
from checked
