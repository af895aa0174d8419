{{ config(unique_key=['machine_id', 'session_start']) }}

-- A session window: attempts to pay at one machine with no more than two minutes between them are
-- one session, such as a group of customers or somebody who tries card after card. A late attempt
-- can join two sessions into one. Longer history: a session belongs to the day on which it begins
-- and may go on over midnight.
with attempts as (
    select
        machine_id,
        event_time,
        payment_outcome,
        payer_id,
        is_late,
        _source,
        _kafka_partition,
        _offset,
        lag(event_time) over (
            partition by machine_id order by event_time, _source, _kafka_partition, _offset
        ) as before_at
    from {{ ref('fct_payments') }}
),

numbered as (
    select
        machine_id,
        event_time,
        payment_outcome,
        payer_id,
        is_late,
        sum(case when before_at is null or event_time - before_at > interval '2 minutes' then 1
            else 0 end) over (
            partition by machine_id order by event_time, _source, _kafka_partition, _offset
            rows between unbounded preceding and current row
        ) as session_number
    from attempts
)

select
    machine_id,
    min(event_time) as session_start,
    max(event_time) as session_end,
    (cast(max(event_time) as bigint) - cast(min(event_time) as bigint)) / 1000000.0 as duration_s,
    count(*) as payments,
    sum(case when payment_outcome = 'succeeded' then 1 else 0 end) as payments_succeeded,
    sum(case when payment_outcome = 'failed' then 1 else 0 end) as payments_failed,
    count(distinct payer_id) as payers,
    sum(case when is_late then 1 else 0 end) as payments_late,
    100.0 * sum(case when is_late then 0 else 1 end) / count(*) as in_time_pct
from numbered
group by machine_id, session_number
