{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='error_date', batch_size='day',
    unique_key=['error_date', 'machine_id']
) }}

-- Per day and machine: starts, crashes and errors of its software, and on how many firmware
-- versions.
select
    cast(event_day as date) as error_date,
    cast(to_char(event_day, '%Y%m%d') as int) as date_key,
    machine_id,
    count(*) as events,
    sum(case when level = 'warn' then 1 else 0 end) as warnings,
    sum(case when level in ('error', 'fatal') then 1 else 0 end) as errors,
    sum(case when event_type = 'vending.logs.crash' then 1 else 0 end) as crashes,
    sum(case when event_type = 'vending.logs.startup' then 1 else 0 end) as startups,
    max(case when event_type = 'vending.logs.crash' then event_time end) as last_crash_at,
    count(distinct firmware_version) as firmware_versions,
    sum(case when is_late then 1 else 0 end) as events_late,
    100.0 * sum(case when is_late then 0 else 1 end) / count(*) as in_time_pct
from {{ ref('stg_vending_logs') }}
group by event_day, machine_id
