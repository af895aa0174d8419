{{ availability_monthly('machine_id', {'days': 'service_date'}) }}
