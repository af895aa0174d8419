{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='hour_start', batch_size='hour',
    unique_key=['hour_start', 'region', 'network_type']
) }}

-- How machines are connected, per hour, region and kind of network. Times without a connection are
-- told when it is back, and count in the hour in which it came back. Averages are of decimals,
-- whose sums do not depend on their order.
select
    date_bin(interval '1 hour', report.event_time, timestamp '2020-01-01T00:00:00Z') as hour_start,
    cast(to_char(
        date_bin(interval '1 hour', report.event_time, timestamp '2020-01-01T00:00:00Z'), '%Y%m%d'
    ) as int) as date_key,
    site.region,
    coalesce(report.network_type, machine.network_type) as network_type,
    count(distinct report.machine_id) as machines,
    sum(case when report.event_type = 'vending.connectivity.report' then 1 else 0 end) as reports,
    cast(avg(cast(report.signal_dbm as decimal(9, 3))) as decimal(9, 3)) as signal_avg_dbm,
    min(report.signal_dbm) as signal_min_dbm,
    cast(avg(cast(report.latency_ms as decimal(12, 3))) as decimal(12, 3)) as latency_avg_ms,
    max(report.latency_ms) as latency_max_ms,
    cast(avg(cast(report.packet_loss_pct as decimal(9, 3))) as decimal(9, 3))
        as packet_loss_avg_pct,
    sum(report.sent_bytes) as sent_bytes,
    sum(report.received_bytes) as received_bytes,
    sum(case when report.event_type = 'vending.connectivity.connected' then 1 else 0 end)
        as interruptions,
    sum(case when report.event_type = 'vending.connectivity.connected'
        then cast(report.connected_at as bigint) - cast(report.disconnected_at as bigint)
        else 0 end) / 1000000.0 as disconnected_s,
    sum(case when report.event_type = 'vending.connectivity.connected'
        then cast(report.buffered_count as bigint) else 0 end) as events_buffered,
    sum(case when report.is_late then 1 else 0 end) as events_late,
    100.0 * sum(case when report.is_late then 0 else 1 end) / count(*) as in_time_pct
from {{ ref('stg_vending_connectivity') }} as report
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = report.machine_id
    and machine.valid_from <= report.event_time
    and (machine.valid_to is null or machine.valid_to > report.event_time)
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= report.event_time
    and (site.valid_to is null or site.valid_to > report.event_time)
group by
    date_bin(interval '1 hour', report.event_time, timestamp '2020-01-01T00:00:00Z'), site.region,
    coalesce(report.network_type, machine.network_type)
