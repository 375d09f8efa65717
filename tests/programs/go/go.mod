module wirespan.invalid/programs

go 1.25.0
