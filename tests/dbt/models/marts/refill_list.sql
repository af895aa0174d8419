select
    ifnull(site.route_id, 'none') as route_id,
    row_number() over (
        partition by ifnull(site.route_id, 'none')
        order by
            site.route_position nulls last, site.site_id nulls last, level.machine_id,
            level.selection
    ) as line_number,
    site.route_position,
    site.site_id,
    site.site_name,
    site.city,
    site.opening_hours,
    level.machine_id,
    machine.machine_name,
    level.selection,
    level.product_id,
    product.product_name,
    product.needs_refrigeration,
    level.stock_count,
    level.par_level,
    level.refill_count,
    level.is_empty,
    level.reported_at
from {{ ref('inventory_level') }} as level
join {{ ref('dim_machine') }} as machine
    on machine.machine_id = level.machine_id
    and machine.is_current
    and machine.machine_status = 'active'
left join {{ ref('dim_site') }} as site on site.site_id = machine.site_id and site.is_current
left join {{ ref('dim_product') }} as product
    on product.product_id = level.product_id and product.is_current
where level.refill_count > 0 and (level.is_low or level.is_empty)
