{{ config(unique_key=['account_id', 'symbol', 'currency']) }}

-- What each account holds of each symbol: what it bought less what it sold, of trades that were
-- executed and not taken back, from the beginning of the lake. Worth is by the last price that
-- anybody paid. A table of the current state: it needs its own last row and what is new.
with priced as (
    select
        symbol,
        currency,
        price,
        event_time,
        row_number() over (
            partition by symbol, currency
            order by event_time desc, _source desc, _kafka_partition desc, _offset desc
        ) as number_from_last
    from {{ ref('fct_trades') }}
    where is_executed
),

held as (
    select
        account_id,
        symbol,
        currency,
        count(*) as trades,
        cast(sum(signed_quantity) as decimal(18, 4)) as quantity,
        cast(sum(case when side = 'buy' then amount else cast(0 as decimal(18, 4)) end)
            as decimal(18, 4)) as bought_amount,
        cast(sum(case when side = 'sell' then amount else cast(0 as decimal(18, 4)) end)
            as decimal(18, 4)) as sold_amount,
        max(event_time) as last_trade_at
    from {{ ref('fct_trades') }}
    where is_executed
    group by account_id, symbol, currency
)

select
    held.account_id,
    held.symbol,
    held.currency,
    held.trades,
    held.quantity,
    held.bought_amount,
    held.sold_amount,
    held.last_trade_at,
    priced.price as last_price,
    priced.event_time as last_price_at,
    cast(held.quantity * priced.price as decimal(18, 4)) as worth_amount,
    account.position_limit_amount,
    coalesce(
        account.currency = held.currency
        and abs(cast(held.quantity * priced.price as decimal(18, 4)))
            > account.position_limit_amount,
        false
    ) as is_over_limit
from held
left join priced
    on priced.symbol = held.symbol
    and priced.currency = held.currency
    and priced.number_from_last = 1
left join {{ source('ref', 'accounts_history') }} as account
    on account.account_id = held.account_id
    and account.valid_to is null
