{{ config(unique_key=['machine_id', 'transaction_id']) }}

-- Per transaction: what was paid, delivered and given back, whether that matches, and if not why.
--     paid = delivered + refunded
-- Cash that a customer takes back before it was booked is refunded without having been paid: it is
-- returned_amount, and counts on neither side. A transaction's events lie on one day or two days
-- side by side; it belongs to the day of the first. What is not complete yet while its last event
-- is among the last ten minutes of the stream is open: days before the last are final but for late
-- events.
with events as (
    select
        sale.machine_id,
        sale.transaction_id,
        sale.event_time,
        sale.event_day,
        sale.currency,
        sale.payment_method,
        sale.is_late,
        sale.event_type = 'vending.sales.payment' as is_payment,
        sale.payment_outcome = 'succeeded' as is_paid,
        sale.payment_outcome = 'cancelled_by_user' as is_cancelled,
        sale.event_type = 'vending.sales.vend' and sale.vend_mode = 'paid' as is_vend,
        sale.vend_outcome = 'succeeded' as is_delivered,
        sale.event_type = 'vending.sales.refund' as is_refund,
        sale.refund_outcome = 'failed' as is_refund_failed,
        sale.refund_reason = 'cancelled_by_user' as is_return,
        sale.price,
        coalesce(
            sale.paid_amount,
            case when sale.payment_outcome = 'succeeded' then sale.price end,
            cast(0 as decimal(18, 4))
        ) - coalesce(sale.change_amount, cast(0 as decimal(18, 4))) as kept_amount,
        coalesce(sale.refund_amount, cast(0 as decimal(18, 4))) as refund_amount,
        coalesce(sale.non_refunded_amount, cast(0 as decimal(18, 4))) as owed_amount,
        last_one.until
    from {{ ref('stg_vending_sales') }} as sale
    cross join (
        select max(event_time) as until from {{ ref('stg_vending_sales') }}
    ) as last_one
),

transactions as (
    select
        machine_id,
        transaction_id,
        min(event_day) as transaction_day,
        min(event_time) as first_event_at,
        max(event_time) as last_event_at,
        max(event_time) > max(until) - interval '10 minutes' as is_recent,
        count(distinct currency) as currencies,
        max(currency) as currency,
        max(payment_method) as payment_method,
        sum(case when is_payment then 1 else 0 end) as payments,
        sum(case when is_payment and is_paid then 1 else 0 end) as payments_succeeded,
        sum(case when is_payment and is_cancelled then 1 else 0 end) as payments_cancelled,
        sum(case when is_vend then 1 else 0 end) as vends,
        sum(case when is_vend and is_delivered then 1 else 0 end) as vends_delivered,
        sum(case when is_refund then 1 else 0 end) as refunds,
        sum(case when is_refund and is_refund_failed then 1 else 0 end) as refunds_failed,
        cast(sum(
            case when is_payment and (is_paid or is_cancelled) then kept_amount
                else cast(0 as decimal(18, 4)) end
        ) as decimal(18, 4)) as paid_amount,
        cast(sum(
            case when is_vend and is_delivered then price else cast(0 as decimal(18, 4)) end
        ) as decimal(18, 4)) as delivered_amount,
        cast(sum(
            case when is_refund then refund_amount else cast(0 as decimal(18, 4)) end
        ) as decimal(18, 4)) as refunded_amount,
        cast(sum(
            case when is_refund and is_return then refund_amount
                else cast(0 as decimal(18, 4)) end
        ) as decimal(18, 4)) as given_back_amount,
        cast(sum(
            case when is_refund then owed_amount else cast(0 as decimal(18, 4)) end
        ) as decimal(18, 4)) as owed_amount,
        sum(case when is_late then 1 else 0 end) as events_late
    from events
    group by machine_id, transaction_id
),

balanced as (
    select
        machine_id, transaction_id, transaction_day, first_event_at, last_event_at, is_recent,
        currencies, currency, payment_method, payments, payments_succeeded, payments_cancelled,
        vends, vends_delivered, refunds, refunds_failed, paid_amount, delivered_amount,
        refunded_amount, owed_amount, events_late,
        case
            when payments_succeeded = 0 and payments_cancelled > 0 and paid_amount = 0
                then given_back_amount
            else cast(0 as decimal(18, 4))
        end as returned_amount
    from transactions
),

differing as (
    select
        machine_id, transaction_id, transaction_day, first_event_at, last_event_at, is_recent,
        currencies, currency, payment_method, payments, payments_succeeded, payments_cancelled,
        vends, vends_delivered, refunds, refunds_failed, paid_amount, delivered_amount,
        refunded_amount, returned_amount, owed_amount, events_late,
        cast(
            paid_amount - delivered_amount - refunded_amount + returned_amount as decimal(18, 4)
        ) as difference_amount
    from balanced
),

judged as (
    select
        machine_id, transaction_id, transaction_day, first_event_at, last_event_at, is_recent,
        currencies, currency, payment_method, payments, payments_succeeded, payments_cancelled,
        vends, vends_delivered, refunds, refunds_failed, paid_amount, delivered_amount,
        refunded_amount, returned_amount, owed_amount, difference_amount, events_late,
        case
            when currencies > 1 then 'currencies_differ'
            when payments = 0 and vends = 0 and refunds = 0 then 'not_for_sale'
            when payments = 0 then 'payment_missing'
            when payments_succeeded = 0 and vends_delivered > 0 then 'delivered_not_paid'
            when payments_succeeded = 0 and difference_amount = 0 and payments_cancelled > 0
                then 'cancelled'
            when payments_succeeded = 0 and difference_amount = 0 then 'not_paid'
            when payments_succeeded = 0 and difference_amount < 0 then 'refunded_not_paid'
            when payments_succeeded > 1 and difference_amount > 0 then 'paid_twice'
            when difference_amount = 0 and vends_delivered > 0 then 'delivered'
            when difference_amount = 0 and refunds > 0 then 'refunded'
            when refunds_failed > 0 or owed_amount > 0 then 'refund_failed'
            when vends = 0 and refunds = 0 then 'vend_missing'
            when difference_amount > 0 and vends_delivered = 0 then 'refund_missing'
            when difference_amount > 0 then 'kept_too_much'
            when vends_delivered > 0 and refunded_amount > 0 then 'delivered_and_refunded'
            else 'gave_too_much'
        end as found
    from differing
)

select
    machine_id,
    transaction_id,
    cast(transaction_day as date) as transaction_date,
    cast(to_char(transaction_day, '%Y%m%d') as int) as date_key,
    first_event_at,
    last_event_at,
    currency,
    payment_method,
    payments,
    payments_succeeded,
    vends,
    vends_delivered,
    refunds,
    refunds_failed,
    paid_amount,
    delivered_amount,
    refunded_amount,
    returned_amount,
    owed_amount,
    difference_amount,
    case
        when is_recent and found in ('payment_missing', 'vend_missing', 'refund_missing')
            then 'open'
        else found
    end as reconciliation_status,
    found in ('delivered', 'refunded', 'cancelled', 'not_paid', 'not_for_sale') as is_matched,
    events_late
from judged
