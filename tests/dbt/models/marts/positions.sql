with trades as (
    select *, (event_time, _source, _kafka_partition, _offset) as moment
    from {{ ref('fct_trades') }}
    where is_executed
),

prices as (
    select symbol, currency, arg_max(price, moment) as last_price, max(event_time) as last_price_at
    from trades
    group by all
),

held as (
    select
        account_id,
        symbol,
        currency,
        count(*) as trades,
        sum(signed_quantity)::decimal(18, 4) as quantity,
        coalesce(sum(amount) filter (side = 'buy'), 0)::decimal(18, 4) as bought_amount,
        coalesce(sum(amount) filter (side = 'sell'), 0)::decimal(18, 4) as sold_amount,
        max(event_time) as last_trade_at
    from trades
    group by all
)

select
    held.*,
    prices.last_price,
    prices.last_price_at,
    ratio4(tenthousandths(quantity) * tenthousandths(last_price), 100000000) as worth_amount,
    account.position_limit_amount,
    ifnull(
        account.currency = held.currency and abs(worth_amount) > account.position_limit_amount,
        false
    ) as is_over_limit
from held
join prices using (symbol, currency)
left join {{ history('accounts', ['account_id']) }} as account
    on account.account_id = held.account_id and account.valid_to is null
