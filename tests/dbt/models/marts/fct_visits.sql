with visits as (
    select
        machine_id,
        visit_id,
        max(visit_reason) as visit_reason,
        max(operator_id) as operator_id,
        min(visit_started_at) as started_at,
        max(visit_ended_at) as ended_at,
        count(*) filter (event_type = 'vending.security.door_opened') as door_openings
    from {{ ref('stg_vending_security') }}
    where visit_id is not null
    group by machine_id, visit_id
    having count(visit_started_at) > 0
)

select
    visit.*,
    machine.machine_key,
    machine.site_id,
    site.region,
    day_key(visit.started_at) as date_key,
    seconds(visit.started_at, visit.ended_at) as duration_s,
    refilled.selections_refilled,
    refilled.products_refilled,
    refilled.products_removed
from visits as visit
{{ place('visit.machine_id', 'visit.started_at') }}
cross join lateral (
    select
        count(distinct refill.selection) as selections_refilled,
        coalesce(sum(refill.refilled_count), 0) as products_refilled,
        coalesce(sum(refill.removed_count), 0) as products_removed
    from {{ ref('stg_vending_inventory') }} as refill
    where refill.event_type = 'vending.inventory.refill'
        and refill.machine_id = visit.machine_id
        and refill.visit_id = visit.visit_id
) as refilled
