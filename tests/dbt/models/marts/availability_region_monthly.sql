{{ availability_monthly('region', {'machines': 'machine_id', 'days': 'service_date'}) }}
