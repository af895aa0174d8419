-- As many trades are in the minutes as were made and not refused, and of the same worth.
with minutes as (
    select
        symbol,
        currency,
        sum(trades) as trades,
        cast(sum(amount_sum) as decimal(18, 4)) as amount
    from {{ ref('trades_1m') }}
    group by symbol, currency
),

made as (
    select symbol, currency, count(*) as trades, cast(sum(amount) as decimal(18, 4)) as amount
    from {{ ref('fct_trades') }}
    where first_status <> 'rejected'
    group by symbol, currency
)

select
    coalesce(minutes.symbol, made.symbol) as symbol,
    coalesce(minutes.currency, made.currency) as currency,
    minutes.trades as in_minutes,
    made.trades as made
from minutes
full join made
    on made.symbol = minutes.symbol
    and made.currency = minutes.currency
where (minutes.trades is distinct from made.trades)
    or (minutes.amount is distinct from made.amount)
