{{ availability_monthly('site_id', {'machines': 'machine_id', 'days': 'service_date'}) }}
