{{ config(unique_key=['machine_id']) }}

-- What firmware each machine runs, how its last update went, and the last version that is known to
-- be good: that of the last update that succeeded, or the one before an update that failed or was
-- taken back. Without any finished update, what it runs. A table of the current state: it needs its
-- own last row and what is new.
with reports as (
    select
        machine_id,
        event_time,
        firmware_version,
        row_number() over (
            partition by machine_id
            order by event_time desc, _source desc, _kafka_partition desc, _offset desc
        ) as number_from_last
    from {{ ref('stg_vending_configuration') }}
),

finished as (
    select
        machine_id,
        event_time,
        event_type,
        update_id,
        rollout_id,
        from_version,
        to_version,
        update_stage,
        update_fail_status,
        row_number() over (
            partition by machine_id
            order by event_time desc, _source desc, _kafka_partition desc, _offset desc
        ) as number_from_last
    from {{ ref('stg_vending_configuration') }}
    where update_kind = 'firmware' and event_type in (
        'vending.configuration.update_succeeded',
        'vending.configuration.update_failed',
        'vending.configuration.update_rolled_back'
    )
),

counted as (
    select
        machine_id,
        sum(case when event_type in (
            'vending.configuration.update_failed', 'vending.configuration.update_rolled_back'
        ) then 1 else 0 end) as updates_not_good
    from {{ ref('stg_vending_configuration') }}
    group by machine_id
)

select
    report.machine_id,
    machine.machine_key,
    machine.site_id,
    machine.model,
    report.firmware_version,
    report.event_time as reported_at,
    last_update.update_id as last_update_id,
    last_update.rollout_id as last_rollout_id,
    case last_update.event_type
        when 'vending.configuration.update_succeeded' then 'succeeded'
        when 'vending.configuration.update_failed' then 'failed'
        when 'vending.configuration.update_rolled_back' then 'rolled_back'
        else 'none'
    end as last_update_outcome,
    last_update.to_version as last_update_version,
    last_update.event_time as last_update_at,
    last_update.update_stage as last_update_stage,
    last_update.update_fail_status as last_update_fail_status,
    case last_update.event_type
        when 'vending.configuration.update_succeeded' then last_update.to_version
        else coalesce(last_update.from_version, report.firmware_version)
    end as last_good_version,
    report.firmware_version = case last_update.event_type
        when 'vending.configuration.update_succeeded' then last_update.to_version
        else coalesce(last_update.from_version, report.firmware_version)
    end as is_on_last_good,
    counted.updates_not_good
from reports as report
inner join counted on counted.machine_id = report.machine_id
left join finished as last_update
    on last_update.machine_id = report.machine_id
    and last_update.number_from_last = 1
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = report.machine_id
    and machine.is_current
where report.number_from_last = 1
