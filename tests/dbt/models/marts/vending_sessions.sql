-- A session begins with an attempt that has no other at its machine in the two minutes before; what
-- happens at one instant belongs together.
with beginnings as (
    select machine_id, event_time as session_start
    from {{ ref('fct_payments') }} as one
    where not exists (
        select 1
        from {{ ref('fct_payments') }} as other
        where other.machine_id = one.machine_id
            and other.event_time < one.event_time
            and other.event_time >= one.event_time - interval 2 minutes
    )
    group by all
)

select
    payment.machine_id,
    beginning.session_start,
    max(payment.event_time) as session_end,
    seconds(min(payment.event_time), max(payment.event_time)) as duration_s,
    count(*) as payments,
    count(*) filter (payment.payment_outcome = 'succeeded') as payments_succeeded,
    count(*) filter (payment.payment_outcome = 'failed') as payments_failed,
    count(distinct payment.payer_id) as payers,
    count(*) filter (payment.is_late) as payments_late,
    pct(count(*) filter (not payment.is_late), count(*)) as in_time_pct
from {{ ref('fct_payments') }} as payment
asof join beginnings as beginning
    on beginning.machine_id = payment.machine_id
    and beginning.session_start <= payment.event_time
group by payment.machine_id, beginning.session_start
