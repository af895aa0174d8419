-- A visit whose end is not known explains four hours.
select
    event._source,
    event._kafka_partition,
    event._offset,
    event.event_source,
    event.event_id,
    event.event_type,
    event.event_time,
    event.event_day,
    day_key(event.event_time) as date_key,
    event.machine_id,
    machine.machine_key,
    machine.site_id,
    site.region,
    event.door,
    event.opening_method,
    event.peak_acceleration_g,
    event.battery_pct,
    event.integrity_outcome,
    event.failed_payment_count,
    event.in_maintenance,
    visits.some as is_in_visit,
    event.event_type[18:] in ('door_opened', 'unauthorised_opening')
        and not (is_in_visit or event.in_maintenance) as is_unexplained_opening,
    event.is_late
from {{ ref('stg_vending_security') }} as event
{{ place('event.machine_id', 'event.event_time') }}
cross join lateral (
    select count(*) > 0 as some
    from {{ ref('fct_visits') }} as visit
    where visit.machine_id = event.machine_id
        and event.event_time between visit.started_at
            and ifnull(visit.ended_at, visit.started_at + interval 4 hours)
) as visits
where event.event_type[18:] in (
        'door_opened', 'unauthorised_opening', 'shock', 'vibration', 'power_cut', 'payment_failures'
    )
    or (event.event_type[18:], event.integrity_outcome) = ('firmware_integrity', 'failed')
