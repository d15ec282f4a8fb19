"""map-apollo-leads: lets only qualified leads through, loses none, and can explain each verdict."""
