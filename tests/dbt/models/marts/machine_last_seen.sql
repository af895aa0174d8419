{% set streams = [
    'health', 'sales', 'inventory', 'faults', 'security', 'configuration', 'connectivity', 'logs'
] -%}
with events as (
    {%- for stream in streams %}
    select machine_id, event_time, event_type, _kafka_time
    from {{ source('raw', 'vending_' ~ stream) }}
    where _error is null
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

seen as (
    select
        machine_id,
        max(event_time) as last_event_at,
        max(event_time) filter (event_type = 'vending.health.heartbeat') as last_heartbeat_at,
        max(event_time) filter (event_type = 'vending.sales.vend') as last_vend_at,
        max(_kafka_time) as last_kafka_at
    from events
    group by machine_id
),

machines as (
    select * from {{ ref('dim_machine') }} where is_current
)

select
    machine_id,
    machines.machine_key,
    machines.site_id,
    site.region,
    machines.machine_status,
    seen.last_event_at,
    seen.last_heartbeat_at,
    seen.last_vend_at,
    seen.last_kafka_at,
    fleet.until as fleet_last_event_at,
    seconds(seen.last_event_at, fleet.until) as silent_s,
    machines.heartbeat_interval_s,
    ifnull(silent_s > 3 * ifnull(machines.heartbeat_interval_s, 60), true) as is_silent
from seen
full join machines using (machine_id)
cross join (select max(event_time) as until from events) as fleet
left join {{ ref('dim_site') }} as site on site.site_id = machines.site_id and site.is_current
