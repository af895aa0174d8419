select
    interval_key(machine_id, valid_from) as machine_key,
    * exclude (serial_number, asset_number, latitude_deg, longitude_deg, _load),
    valid_to is null as is_current
from {{ history('machines', ['machine_id']) }}
