{{ events('vending_connectivity') }}
