module wirespan.invalid/programs

go 1.19
