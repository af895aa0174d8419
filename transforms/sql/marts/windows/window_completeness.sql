{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='hour_start', batch_size='hour',
    unique_key=['stream', 'hour_start']
) }}

-- How complete each hour of each stream was when its time was over: events that reached Kafka
-- within five minutes, of all that came by now. It only falls afterwards, as late events come.
{% set streams = [
    'vending_health', 'vending_sales', 'vending_inventory', 'vending_faults', 'vending_security',
    'vending_configuration', 'vending_connectivity', 'vending_logs', 'store_sales',
    'store_inventory', 'store_operations', 'trades'
] -%}
with events as (
{%- for stream in streams %}
    select
        '{{ stream }}' as stream,
        date_bin(interval '1 hour', event_time, timestamp '2020-01-01T00:00:00Z') as hour_start,
        is_late,
        _kafka_time
    from {{ ref('stg_' ~ stream) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}
)

select
    stream,
    hour_start,
    count(*) as events,
    sum(case when is_late then 1 else 0 end) as events_late,
    100.0 * sum(case when is_late then 0 else 1 end) / count(*) as in_time_pct,
    max(_kafka_time) as last_kafka_at
from events
group by stream, hour_start
