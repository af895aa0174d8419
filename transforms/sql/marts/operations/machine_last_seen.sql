{{ config(
    materialized='incremental', incremental_strategy='merge', unique_key=['machine_id']
) }}

-- When each machine was last heard of, on any stream, and for how long it has been silent since, by
-- the last event of the whole fleet instead of the clock. Machines of the reference that never
-- spoke are here too. It reads raw rows: what was sent twice changes no maximum. A table of the
-- current state: a build makes it of its own last rows and what is new.
with streams as (
    select
        machine_id,
        max(event_time) as last_event_at,
        max(case when event_type = 'vending.health.heartbeat' then event_time end)
            as last_heartbeat_at,
        cast(null as timestamp with time zone) as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from {{ source('raw', 'vending_health') }}
    group by machine_id
    union all
    select
        machine_id,
        max(event_time) as last_event_at,
        cast(null as timestamp with time zone) as last_heartbeat_at,
        max(case when event_type = 'vending.sales.vend' then event_time end) as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from {{ source('raw', 'vending_sales') }}
    group by machine_id
    union all
    select
        machine_id,
        max(event_time) as last_event_at,
        cast(null as timestamp with time zone) as last_heartbeat_at,
        cast(null as timestamp with time zone) as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from {{ source('raw', 'vending_inventory') }}
    group by machine_id
    union all
    select
        machine_id,
        max(event_time) as last_event_at,
        cast(null as timestamp with time zone) as last_heartbeat_at,
        cast(null as timestamp with time zone) as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from {{ source('raw', 'vending_faults') }}
    group by machine_id
    union all
    select
        machine_id,
        max(event_time) as last_event_at,
        cast(null as timestamp with time zone) as last_heartbeat_at,
        cast(null as timestamp with time zone) as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from {{ source('raw', 'vending_security') }}
    group by machine_id
    union all
    select
        machine_id,
        max(event_time) as last_event_at,
        cast(null as timestamp with time zone) as last_heartbeat_at,
        cast(null as timestamp with time zone) as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from {{ source('raw', 'vending_configuration') }}
    group by machine_id
    union all
    select
        machine_id,
        max(event_time) as last_event_at,
        cast(null as timestamp with time zone) as last_heartbeat_at,
        cast(null as timestamp with time zone) as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from {{ source('raw', 'vending_connectivity') }}
    group by machine_id
    union all
    select
        machine_id,
        max(event_time) as last_event_at,
        cast(null as timestamp with time zone) as last_heartbeat_at,
        cast(null as timestamp with time zone) as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from {{ source('raw', 'vending_logs') }}
    group by machine_id
    {%- if is_incremental() %}
    union all
    select machine_id, last_event_at, last_heartbeat_at, last_vend_at, last_kafka_at
    from {{ this }}
    where last_event_at is not null
    {%- endif %}
),

seen as (
    select
        machine_id,
        max(last_event_at) as last_event_at,
        max(last_heartbeat_at) as last_heartbeat_at,
        max(last_vend_at) as last_vend_at,
        max(last_kafka_at) as last_kafka_at
    from streams
    group by machine_id
),

fleet as (
    select max(last_event_at) as until_at from seen
),

known as (
    select machine_id, machine_key, site_id, machine_status, heartbeat_interval_s
    from {{ ref('dim_machine') }}
    where is_current
)

select
    coalesce(known.machine_id, seen.machine_id) as machine_id,
    known.machine_key,
    known.site_id,
    site.region,
    known.machine_status,
    seen.last_event_at,
    seen.last_heartbeat_at,
    seen.last_vend_at,
    seen.last_kafka_at,
    fleet.until_at as fleet_last_event_at,
    (cast(fleet.until_at as bigint) - cast(seen.last_event_at as bigint)) / 1000000.0 as silent_s,
    known.heartbeat_interval_s,
    -- A machine that never spoke is silent too.
    coalesce(
        cast(fleet.until_at as bigint) - cast(seen.last_event_at as bigint)
            > 3000000 * cast(coalesce(known.heartbeat_interval_s, 60) as bigint),
        true
    ) as is_silent
from seen
full join known on known.machine_id = seen.machine_id
left join {{ ref('dim_site') }} as site on site.site_id = known.site_id and site.is_current
cross join fleet
