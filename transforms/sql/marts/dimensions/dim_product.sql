{{ config(unique_key=['product_id', 'valid_from']) }}

-- One row per product and interval; what holds now has no valid_to. product_key as machine_key in
-- dim_machine.
{% set w = namespace(v=25214903917) -%}
select
    (cast(date_part('epoch', valid_from) as bigint) * 536870909
    {%- for eighth in range(8) %}
    + (0{% for i in range(8 * eighth + 1, 8 * eighth + 9) -%}
    {% set w.v = (w.v * 25214903917 + 11) % 70368744177664 %}
    + ascii(substr(product_id, {{ i }}, 1)) % 1024 * {{ w.v }}{% endfor %}){% endfor %}
    ) % 9007199254740881 as product_key,
    product_id,
    valid_from,
    valid_to,
    valid_to is null as is_current,
    product_name,
    brand,
    category,
    product_status,
    unit_cost,
    list_price,
    currency,
    tax_pct,
    needs_refrigeration,
    shelf_life_days
from {{ source('ref', 'products_history') }}
