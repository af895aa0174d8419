-- A transaction matches if what was paid is what was delivered and given back. Coins that went back
-- before they were booked are no payment: where nothing else was kept, they count on neither side.
with sales as (
    select
        *,
        upper(currency) as code,
        coalesce(paid_amount, if(payment_outcome = 'succeeded', price, 0))
        - coalesce(change_amount, 0) as kept,
        event_type = 'vending.sales.payment' as is_payment,
        event_type = 'vending.sales.vend' and vend_mode = 'paid' as is_vend,
        event_type = 'vending.sales.refund' as is_refund
    from {{ ref('stg_vending_sales') }}
),

sums as (
    select
        machine_id,
        transaction_id,
        min(event_time) as first_event_at,
        max(event_time) as last_event_at,
        max(code) as currency,
        count(distinct code) as currencies,
        max(payment_method) as payment_method,
        count(*) filter (is_payment) as payments,
        count(*) filter (is_payment and payment_outcome = 'succeeded') as payments_succeeded,
        count(*) filter (is_payment and payment_outcome = 'cancelled_by_user') as cancelled,
        count(*) filter (is_vend) as vends,
        count(*) filter (is_vend and vend_outcome = 'succeeded') as vends_delivered,
        count(*) filter (is_refund) as refunds,
        count(*) filter (is_refund and refund_outcome = 'failed') as refunds_failed,
        coalesce(sum(kept) filter (is_payment and payment_outcome <> 'failed'), 0) as paid,
        coalesce(sum(price) filter (is_vend and vend_outcome = 'succeeded'), 0) as delivered,
        coalesce(sum(refund_amount) filter (is_refund), 0) as refunded,
        coalesce(sum(refund_amount) filter (is_refund and refund_reason = 'cancelled_by_user'), 0)
            as given_back,
        coalesce(sum(non_refunded_amount) filter (is_refund), 0) as owed,
        count(*) filter (is_late) as events_late
    from sales
    group by machine_id, transaction_id
),

balances as (
    select
        *,
        if(payments_succeeded = 0 and cancelled > 0 and paid = 0, given_back, 0) as returned,
        paid - delivered - refunded + returned as difference,
        last_event_at > max(last_event_at) over () - interval 10 minutes as may_go_on
    from sums
),

judged as (
    select
        *,
        case
            when currencies > 1 then 'currencies_differ'
            when payments + vends + refunds = 0 then 'not_for_sale'
            when payments = 0 then 'payment_missing'
            when payments_succeeded = 0 then case
                when vends_delivered > 0 then 'delivered_not_paid'
                when difference < 0 then 'refunded_not_paid'
                when difference = 0 then if(cancelled > 0, 'cancelled', 'not_paid')
            end
        end as unpaid,
        case
            when difference > 0 and payments_succeeded > 1 then 'paid_twice'
            when difference = 0 and vends_delivered > 0 then 'delivered'
            when difference = 0 and refunds > 0 then 'refunded'
            when refunds_failed > 0 or owed > 0 then 'refund_failed'
            when vends = 0 and refunds = 0 then 'vend_missing'
            when difference > 0 then if(vends_delivered > 0, 'kept_too_much', 'refund_missing')
            when vends_delivered > 0 and refunded > 0 then 'delivered_and_refunded'
            else 'gave_too_much'
        end as paid_for
    from balances
)

select
    machine_id,
    transaction_id,
    first_event_at::date as transaction_date,
    day_key(first_event_at) as date_key,
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
    paid::decimal(18, 4) as paid_amount,
    delivered::decimal(18, 4) as delivered_amount,
    refunded::decimal(18, 4) as refunded_amount,
    returned::decimal(18, 4) as returned_amount,
    owed::decimal(18, 4) as owed_amount,
    difference::decimal(18, 4) as difference_amount,
    if(
        may_go_on
        and coalesce(unpaid, paid_for) in ('payment_missing', 'vend_missing', 'refund_missing'),
        'open',
        coalesce(unpaid, paid_for)
    ) as reconciliation_status,
    coalesce(unpaid, paid_for) in ('delivered', 'refunded', 'cancelled', 'not_paid', 'not_for_sale')
        as is_matched,
    events_late
from judged
