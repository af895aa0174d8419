{{ config(unique_key=['machine_id', 'visit_id']) }}

-- One row per service visit: who came why, when, and what was refilled. A visit whose end is not
-- there lasts, or its end was lost. Longer history: a visit belongs to the day on which it began.
with visits as (
    select
        machine_id,
        visit_id,
        min(visit_started_at) as started_at,
        max(visit_ended_at) as ended_at,
        max(visit_reason) as visit_reason,
        max(operator_id) as operator_id,
        sum(case when event_type = 'vending.security.door_opened' then 1 else 0 end)
            as door_openings
    from {{ ref('stg_vending_security') }}
    where visit_id is not null
    group by machine_id, visit_id
),

refills as (
    select
        machine_id,
        visit_id,
        count(distinct selection) as selections_refilled,
        sum(refilled_count) as products_refilled,
        sum(removed_count) as products_removed
    from {{ ref('stg_vending_inventory') }}
    where event_type = 'vending.inventory.refill' and visit_id is not null
    group by machine_id, visit_id
)

select
    visit.machine_id,
    machine.machine_key,
    machine.site_id,
    site.region,
    visit.visit_id,
    visit.visit_reason,
    visit.operator_id,
    visit.started_at,
    visit.ended_at,
    cast(to_char(visit.started_at, '%Y%m%d') as int) as date_key,
    (cast(visit.ended_at as bigint) - cast(visit.started_at as bigint)) / 1000000.0 as duration_s,
    visit.door_openings,
    coalesce(refill.selections_refilled, 0) as selections_refilled,
    coalesce(refill.products_refilled, 0) as products_refilled,
    coalesce(refill.products_removed, 0) as products_removed
from visits as visit
left join refills as refill
    on refill.machine_id = visit.machine_id
    and refill.visit_id = visit.visit_id
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = visit.machine_id
    and machine.valid_from <= visit.started_at
    and (machine.valid_to is null or machine.valid_to > visit.started_at)
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= visit.started_at
    and (site.valid_to is null or site.valid_to > visit.started_at)
where visit.started_at is not null
