{{ config(unique_key=['event_source', 'event_id']) }}

-- What threatens a machine: openings of doors, blows, power cuts, firmware that is not what was
-- signed, payments that fail in a row; each with whether a visit explains it. A visit whose end is
-- unknown explains what happens within four hours.
with visits as (
    select
        machine_id,
        visit_id,
        started_at,
        coalesce(ended_at, started_at + interval '4 hours') as until_at
    from {{ ref('fct_visits') }}
),

explained as (
    select
        event._source,
        event._kafka_partition,
        event._offset,
        count(visit.visit_id) > 0 as is_in_visit
    from {{ ref('stg_vending_security') }} as event
    left join visits as visit
        on visit.machine_id = event.machine_id
        and visit.started_at <= event.event_time
        and visit.until_at >= event.event_time
    group by event._source, event._kafka_partition, event._offset
)

select
    event._source,
    event._kafka_partition,
    event._offset,
    event.event_source,
    event.event_id,
    event.event_type,
    event.event_time,
    event.event_day,
    cast(to_char(event.event_day, '%Y%m%d') as int) as date_key,
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
    explained.is_in_visit,
    event.event_type in ('vending.security.door_opened', 'vending.security.unauthorised_opening')
    and not explained.is_in_visit and not event.in_maintenance as is_unexplained_opening,
    event.is_late
from {{ ref('stg_vending_security') }} as event
inner join explained
    on explained._source = event._source
    and explained._kafka_partition = event._kafka_partition
    and explained._offset = event._offset
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = event.machine_id
    and machine.valid_from <= event.event_time
    and (machine.valid_to is null or machine.valid_to > event.event_time)
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= event.event_time
    and (site.valid_to is null or site.valid_to > event.event_time)
where event.event_type in (
    'vending.security.door_opened',
    'vending.security.unauthorised_opening',
    'vending.security.shock',
    'vending.security.vibration',
    'vending.security.power_cut',
    'vending.security.payment_failures'
)
or event.event_type = 'vending.security.firmware_integrity' and event.integrity_outcome = 'failed'
