{# The accepted records of a stream, each event once. An event is known by who says it and by its
   id; of its records on one UTC day, or on two side by side, the one with the least source,
   partition and offset counts. #}
{% macro events(stream) -%}
with accepted as (
    select * exclude (_error, _value, _headers, _key)
    from {{ source('raw', stream) }}
    where _error is null
)

select
    *,
    date_trunc('day', event_time) as event_day,
    epoch_us(_kafka_time) - epoch_us(event_time) > 5 * 60 * 1000000 as is_late
from accepted as one
where not exists (
    select 1
    from accepted as other
    where other.event_source = one.event_source
        and other.event_id = one.event_id
        and abs(date_diff('day', other.event_time, one.event_time)) <= 1
        and (other._source, other._kafka_partition, other._offset)
            < (one._source, one._kafka_partition, one._offset)
)
{%- endmacro %}

{# The rows of a reference table that count: of each key and beginning what was loaded last, unless
   it is empty. #}
{% macro history(table, keys) -%}
(
    select * exclude (last_load)
    from (
        select *, max(_load) over (partition by {{ keys | join(', ') }}, valid_from) as last_load
        from {{ source('ref', table) }}
    )
    where _load = last_load and valid_from < coalesce(valid_to, 'infinity'::timestamptz)
)
{%- endmacro %}

{# Whether a row of a reference held at a time. #}
{% macro held(row, at) -%}
{{ row }}.valid_from <= {{ at }}
    and {{ at }} < coalesce({{ row }}.valid_to, 'infinity'::timestamptz)
{%- endmacro %}

{# Joins the machine and its site as they were at a time. #}
{% macro place(machine_id, at) -%}
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = {{ machine_id }} and {{ held('machine', at) }}
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id and {{ held('site', at) }}
{%- endmacro %}
