module milepost

go 1.24
