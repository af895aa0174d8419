{{ events('vending_faults') }}
