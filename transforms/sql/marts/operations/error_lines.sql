{{ config(materialized='incremental', incremental_strategy='append') }}

-- What the software of machines logged as an error, as it arrived: what was sent twice stands here
-- twice. software_errors_daily counts each event once.
select
    _source,
    _kafka_partition,
    _offset,
    event_source,
    event_id,
    event_time,
    date_trunc('day', event_time) as event_day,
    machine_id,
    event_type,
    level,
    logger,
    message,
    firmware_version
from {{ source('raw', 'vending_logs') }}
where level in ('error', 'fatal') or event_type = 'vending.logs.crash'
