{% set streams = [
    'store_inventory', 'store_operations', 'store_sales', 'trades', 'vending_configuration',
    'vending_connectivity', 'vending_faults', 'vending_health', 'vending_inventory', 'vending_logs',
    'vending_sales', 'vending_security'
] -%}
{% for stream in streams %}
select
    '{{ stream }}' as stream,
    to_timestamp(epoch_us(event_time) // 3600000000 * 3600) as hour_start,
    count(*) as events,
    count(*) filter (is_late) as events_late,
    pct(events - events_late, events) as in_time_pct,
    max(_kafka_time) as last_kafka_at
from {{ ref('stg_' ~ stream) }}
group by hour_start
{{ 'union all' if not loop.last }}
{% endfor %}
