{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='event_time', batch_size='hour'
) }}

-- One row per delivery, with the product as it was then and where the machine stood then.
select
    vend._source,
    vend._kafka_partition,
    vend._offset,
    vend.event_source,
    vend.event_id,
    vend.event_time,
    vend.event_day,
    cast(to_char(vend.event_day, '%Y%m%d') as int) as date_key,
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
    vend.currency,
    case when product.currency = vend.currency then product.unit_cost end as unit_cost,
    vend.payment_method,
    vend.vend_mode,
    vend.vend_outcome,
    vend.vend_outcome = 'succeeded' as is_delivered,
    vend.vend_outcome = 'succeeded' and vend.vend_mode = 'paid' as is_sold,
    vend.vend_fail_status,
    vend.is_late
from {{ ref('stg_vending_sales') }} as vend
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = vend.machine_id
    and machine.valid_from <= vend.event_time
    and (machine.valid_to is null or machine.valid_to > vend.event_time)
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= vend.event_time
    and (site.valid_to is null or site.valid_to > vend.event_time)
left join {{ ref('dim_product') }} as product
    on product.product_id = vend.product_id
    and product.valid_from <= vend.event_time
    and (product.valid_to is null or product.valid_to > vend.event_time)
where vend.event_type = 'vending.sales.vend'
