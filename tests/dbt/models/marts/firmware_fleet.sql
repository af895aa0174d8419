-- An update that succeeded makes its version the good one; one that failed or was taken back leaves
-- the one before.
with events as (
    select *, (event_time, _source, _kafka_partition, _offset) as moment, event_type[23:] as step
    from {{ ref('stg_vending_configuration') }}
),

machines as (
    select
        machine_id,
        max_by({'version': firmware_version, 'reported_at': event_time}, moment) as report,
        max_by({
            'id': update_id, 'rollout': rollout_id, 'step': step, 'old': from_version,
            'new': to_version, 'ended_at': event_time, 'stage': update_stage,
            'why': update_fail_status
        }, moment) filter (
            update_kind = 'firmware'
            and step in ('update_succeeded', 'update_failed', 'update_rolled_back')
        ) as ended,
        count(*) filter (step in ('update_failed', 'update_rolled_back')) as updates_not_good
    from events
    group by machine_id
)

select
    machines.machine_id,
    machine.machine_key,
    machine.site_id,
    machine.model,
    report.version as firmware_version,
    report.reported_at as reported_at,
    ended.id as last_update_id,
    ended.rollout as last_rollout_id,
    ifnull(ended.step[8:], 'none') as last_update_outcome,
    ended.new as last_update_version,
    ended.ended_at as last_update_at,
    ended.stage as last_update_stage,
    ended.why as last_update_fail_status,
    if(
        ended.step = 'update_succeeded', ended.new, ifnull(ended.old, report.version)
    ) as last_good_version,
    report.version = last_good_version as is_on_last_good,
    updates_not_good
from machines
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = machines.machine_id and machine.is_current
