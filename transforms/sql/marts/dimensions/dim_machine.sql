{{ config(unique_key=['machine_id', 'valid_from']) }}

-- One row per machine and interval; what holds now has no valid_to. machine_key is made of
-- machine_id and valid_from alone and below 2^53: it stays when other rows come or go, and Power BI
-- reads it exactly. Each character of the id has a weight of 46 bits.
-- They are added by eights: a sum of 64 is too deep for a plan that is to be sent elsewhere.
{% set w = namespace(v=25214903917) -%}
select
    (cast(date_part('epoch', valid_from) as bigint) * 536870909
    {%- for eighth in range(8) %}
    + (0{% for i in range(8 * eighth + 1, 8 * eighth + 9) -%}
    {% set w.v = (w.v * 25214903917 + 11) % 70368744177664 %}
    + ascii(substr(machine_id, {{ i }}, 1)) % 1024 * {{ w.v }}{% endfor %}){% endfor %}
    ) % 9007199254740881 as machine_key,
    machine_id,
    valid_from,
    valid_to,
    valid_to is null as is_current,
    machine_name,
    machine_kind,
    manufacturer,
    model,
    machine_status,
    commissioned_on,
    selection_count,
    accepts_cash,
    accepts_card,
    accepts_qr,
    site_id,
    store_id,
    station_id,
    network_type,
    refrigerated,
    temperature_target_c,
    temperature_max_c,
    heartbeat_interval_s,
    availability_target_pct
from {{ source('ref', 'machines_history') }}
