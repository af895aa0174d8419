select
    event_day::date as error_date,
    day_key(event_day) as date_key,
    machine_id,
    count(*) as events,
    count(*) filter (level = 'warn') as warnings,
    count(*) filter (level = 'error' or level = 'fatal') as errors,
    count(*) filter (event_type = 'vending.logs.crash') as crashes,
    count(*) filter (event_type = 'vending.logs.startup') as startups,
    max(event_time) filter (event_type = 'vending.logs.crash') as last_crash_at,
    count(distinct firmware_version) as firmware_versions,
    count(*) filter (is_late) as events_late,
    pct(count(*) filter (not is_late), count(*)) as in_time_pct
from {{ ref('stg_vending_logs') }}
group by event_day, machine_id
