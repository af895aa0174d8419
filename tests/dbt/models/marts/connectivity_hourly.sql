select
    to_timestamp(epoch_us(event.event_time) // 3600000000 * 3600) as hour_start,
    day_key(hour_start) as date_key,
    site.region,
    ifnull(event.network_type, machine.network_type) as network_type,
    count(distinct event.machine_id) as machines,
    count(*) filter (event.event_type = 'vending.connectivity.report') as reports,
    mean3(event.signal_dbm) as signal_avg_dbm,
    min(event.signal_dbm) as signal_min_dbm,
    mean3(event.latency_ms)::decimal(12, 3) as latency_avg_ms,
    max(event.latency_ms) as latency_max_ms,
    mean3(event.packet_loss_pct) as packet_loss_avg_pct,
    sum(event.sent_bytes)::bigint as sent_bytes,
    sum(event.received_bytes)::bigint as received_bytes,
    count(*) filter (event.event_type = 'vending.connectivity.connected') as interruptions,
    coalesce(
        sum(epoch_us(event.connected_at) - epoch_us(event.disconnected_at))
            filter (event.event_type = 'vending.connectivity.connected'),
        0
    ) / 1e6 as disconnected_s,
    coalesce(
        sum(event.buffered_count) filter (event.event_type = 'vending.connectivity.connected'), 0
    )::bigint as events_buffered,
    count(*) filter (event.is_late) as events_late,
    pct(count(*) filter (not event.is_late), count(*)) as in_time_pct
from {{ ref('stg_vending_connectivity') }} as event
{{ place('event.machine_id', 'event.event_time') }}
group by all
