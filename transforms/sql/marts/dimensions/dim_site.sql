{{ config(unique_key=['site_id', 'valid_from']) }}

-- One row per site and interval; what holds now has no valid_to. site_key as machine_key in
-- dim_machine.
{% set w = namespace(v=25214903917) -%}
select
    (cast(date_part('epoch', valid_from) as bigint) * 536870909
    {%- for eighth in range(8) %}
    + (0{% for i in range(8 * eighth + 1, 8 * eighth + 9) -%}
    {% set w.v = (w.v * 25214903917 + 11) % 70368744177664 %}
    + ascii(substr(site_id, {{ i }}, 1)) % 1024 * {{ w.v }}{% endfor %}){% endfor %}
    ) % 9007199254740881 as site_key,
    site_id,
    valid_from,
    valid_to,
    valid_to is null as is_current,
    site_name,
    site_kind,
    site_status,
    city,
    region,
    country_code,
    latitude_deg,
    longitude_deg,
    time_zone,
    route_id,
    route_position,
    opening_hours,
    currency,
    availability_target_pct
from {{ source('ref', 'sites_history') }}
