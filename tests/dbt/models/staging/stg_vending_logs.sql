{{ events('vending_logs') }}
