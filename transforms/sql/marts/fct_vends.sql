-- One row per delivery, with the product as it was then and where the machine stood then.
select
    vend._source,
    vend._partition,
    vend._offset,
    vend.event_source,
    vend.event_id,
    vend.event_time,
    vend.event_day,
    vend.machine_id,
    machine.site_id,
    site.region,
    vend.transaction_id,
    vend.selection,
    vend.product_id,
    vend.price,
    vend.currency,
    vend.vend_mode,
    vend.vend_outcome,
    vend.vend_outcome = 'succeeded' as is_delivered,
    vend.vend_fail_status,
    vend.is_late
from {{ ref('stg_vending_sales') }} as vend
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = vend.machine_id
    and machine.valid_from <= vend.event_time
    and (machine.valid_to is null or machine.valid_to > vend.event_time)
left join {{ source('ref', 'sites_history') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= vend.event_time
    and (site.valid_to is null or site.valid_to > vend.event_time)
where vend.event_type = 'vending.sales.vend'
