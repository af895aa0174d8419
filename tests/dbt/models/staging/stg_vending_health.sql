{{ events('vending_health') }}
