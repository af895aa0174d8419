select
    vend._source,
    vend._kafka_partition,
    vend._offset,
    vend.event_source,
    vend.event_id,
    vend.event_time,
    vend.event_day,
    day_key(vend.event_time) as date_key,
    machine.machine_key,
    vend.machine_id,
    site.site_key,
    machine.site_id,
    site.region,
    vend.transaction_id,
    vend.selection,
    product.product_key,
    vend.product_id,
    vend.price,
    upper(vend.currency) as currency,
    if(upper(vend.currency) = product.currency, product.unit_cost, null) as unit_cost,
    vend.payment_method,
    vend.vend_mode,
    vend.vend_outcome,
    vend.vend_outcome = 'succeeded' as is_delivered,
    (vend.vend_outcome, vend.vend_mode) = ('succeeded', 'paid') as is_sold,
    vend.vend_fail_status,
    vend.is_late
from {{ ref('stg_vending_sales') }} as vend
{{ place('vend.machine_id', 'vend.event_time') }}
left join {{ ref('dim_product') }} as product
    on product.product_id = vend.product_id and {{ held('product', 'vend.event_time') }}
where vend.event_type = 'vending.sales.vend'
