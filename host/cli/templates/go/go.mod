module {{name}}

go 1.24

require milepost v0.0.0

replace milepost => ./milepost
