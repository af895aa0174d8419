{{ events('vending_configuration') }}
